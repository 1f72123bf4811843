story of a second wave before the all-clear
# The water is gone for a quarter of an hour, then it rises again. Until it is confirmed the new rise says nothing, and it
# takes nothing back either: what is published stands.

day 2022-10-14
from 15:00 until 21:00
areas A
sensor tower street_depth in A every 60s, noise 0.004
operators nam, then lan

at 15:10 tower rises to 0.25 over 20min
at 16:30 tower falls to 0 over 10min
at 17:05 tower rises to 0.25 over 20min
at 18:30 tower falls to 0 over 10min

expect between 15:20 and 15:40 worse warning flood in A
expect between 19:05 and 19:35 over flood in A
and nobody else is called
and nothing else arrives
