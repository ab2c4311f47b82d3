"""What is in deploy/ against what is in the code."""
