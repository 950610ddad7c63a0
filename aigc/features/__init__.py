"""Content → embeddings, behind one interface."""
