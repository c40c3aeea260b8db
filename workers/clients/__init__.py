"""The one place where each foreign API is called and its errors become ours."""
