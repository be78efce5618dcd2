"""The second opinion: slow models and an auditor that share no code with the product."""
