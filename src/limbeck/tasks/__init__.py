"""What a model is asked to do: data, features, answers and scores of each kind of task."""
