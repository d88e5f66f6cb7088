"""The pages: one module each, with its views, what its forms do, and what can be taken away."""
