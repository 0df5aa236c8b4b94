"""The model card and all pictures of training, as HTML and PNG."""
