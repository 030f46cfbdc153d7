"""Pictures of all formats to .agv files and back, with all that they bring along: bytes in, bytes and sentences out."""
