"""What a preview is and how it is worked out, without Qt."""
