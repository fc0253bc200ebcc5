"""Image input: open documents page by page, and normalize line images for a recognizer."""
