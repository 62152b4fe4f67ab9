"""Students: their model class, how they are cut from a teacher, and their exact size."""
