"""A look at the installed backends: their versions, devices and compilers, and whether they agree.

Run it with ``python -m xentropy doctor``. Each backend computes one small call (`_exact`) in a
process of its own (`_probe`), which may die or hang; what it told until then is compared with the
exact value (`_health`) by a process that imports no framework.
"""
