"""The API's description is what the product does."""
