"""The sets, in the order in which they run."""

from . import life, three

SETS = {
    "life": life,
    "three": three,
}
