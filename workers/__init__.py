"""The only part that touches Docker, registries, Git, Argo CD and chat."""
