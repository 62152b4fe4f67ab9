"""What a study says when it is looked at: numbers, figures, a report."""
