"""Text recognition: a line image to text, with language models, constraints and calibrated confidence."""
