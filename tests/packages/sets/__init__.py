"""The sets, in the order in which they run."""

from . import life, lint, power, rpm, three, upgrade

SETS = {
    "lint": lint,
    "life": life,
    "upgrade": upgrade,
    "three": three,
    "rpm": rpm,
    "power": power,
}
