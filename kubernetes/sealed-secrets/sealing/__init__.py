"""What `sealed` is made of."""
