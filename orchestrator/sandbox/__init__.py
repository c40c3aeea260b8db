"""Stand-ins on loopback for a laptop without the real services: forge, Harbor, Argo CD."""
