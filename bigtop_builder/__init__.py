"""Build, package, publish and deploy a Hadoop distribution made of Apache Bigtop components."""

__version__ = "0.1.0"
