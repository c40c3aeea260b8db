"""The face that people see: JSON API v1 and small pages, with their own authentication."""
