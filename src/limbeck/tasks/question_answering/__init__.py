"""Extractive question answering in the manner of SQuAD 1.1 and 2.0."""
