"""Images and documents: opened page by page, and line images normalized for the network."""
