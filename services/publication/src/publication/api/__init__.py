"""The doors: of documents, of print runs and of previews."""
