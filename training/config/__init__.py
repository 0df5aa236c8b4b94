"""The settings of training, and the function that loads them."""
