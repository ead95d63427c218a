"""How a recurrent network is computed in hardware: PyRTL generators and what belongs to them."""
