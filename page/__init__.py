"""The web page: what it says, how it looks, and how it draws an answer."""
