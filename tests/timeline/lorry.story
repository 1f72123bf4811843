story of a wave that is no flood
# Lorries push water through a wet street: 30 cm for four minutes, then the road is seen again. The level of the tower
# stands for ten minutes more; readings of a dry street in that time are good, and confirm nothing.

day 2022-10-14
from 15:00 until 17:00
areas A
sensor tower street_depth in A every 60s, noise 0.004
operators nam, then lan

at 15:10 tower rises to 0.30 over 3min
at 15:16 tower falls to 0.01 over 2min

and nothing else arrives
