"""What is outside Quittance, spoken over the real protocols, with faults on demand.

No service imports this package and it imports none of them: the only way in or out is the
network, so a service cannot tell a simulator from the real thing except by its address and keys.
"""
