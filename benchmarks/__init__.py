"""Ours against each framework's own function: time, peak memory and what limits them.

    python -m benchmarks --help      from the root of the checkout
    nox -s bench                     the same, with every framework installed

`cases` says what is timed, losses of logits and of linear heads; `contenders` who takes part;
`floors` what is promised. Each backend is timed in a process of its own (`timed`) and its memory is
measured in another (`measured`); `join` makes one report of what they leave, without a framework,
and `terminal`, `markdown` and `plots` show it.
"""
