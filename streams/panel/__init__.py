"""The panel: pages and an API over a read model of the topics, and decisions written back as records."""
