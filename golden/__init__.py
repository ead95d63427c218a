"""What the network computes, in numpy: float and integer forward passes, training, quantisation.

Golden knows nothing of hardware. The integer arithmetic is stated in docs/arithmetic.md.
"""
