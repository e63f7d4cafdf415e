"""Losses whose classes several processes hold: time, messages and memory, beside a model of them.

``python -m benchmarks.sharded`` measures 1, 2 and 4 processes on this machine.
"""
