"""The composing wing: glyphs + sentences -> line images with exact labels. numpy and OpenCV only."""
