"""How loginwatch is deployed; as a package only so that the dashboards can be made and tested."""
