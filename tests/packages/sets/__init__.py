"""The sets, in the order in which they run."""

from . import bare, life, lint, power, reproducible, rpm, three, upgrade

SETS = {
    "lint": lint,
    "life": life,
    "upgrade": upgrade,
    "three": three,
    "rpm": rpm,
    "power": power,
    "bare": bare,
    "reproducible": reproducible,
}
