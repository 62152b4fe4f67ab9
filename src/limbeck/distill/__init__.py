"""Training: the teacher, its logits, the losses and the loop that makes a student."""
