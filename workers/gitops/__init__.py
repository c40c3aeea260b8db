"""What GitOps asks for: edit one scalar in YAML, commit it, judge what Argo CD made of it; mostly pure."""
