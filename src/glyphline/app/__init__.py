"""The app: a web service that reads, translates and speaks pictures of text, and the page that uses it."""
