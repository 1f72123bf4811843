story of a flooded street beside a calm river
# Rain nobody measures fills a street in K. Ái Nghĩa's gauge speaks for K too, and its river is low: that is no word against
# the street. The tower is the only one of its kind, so its good readings are enough for a warning.

day 2022-10-14
from 15:00 until 20:00
areas K D
sensor ai-nghia water_level in D every 10min, station ai_nghia, affects K D, reference, noise 0.01
sensor tower street_depth in K every 60s, noise 0.004
operators nam, then lan

at 15:00 ai-nghia reads 4.0
at 15:10 tower rises to 0.26 over 20min
at 17:00 tower falls to 0 over 20min

expect between 15:20 and 15:40 worse warning flood in K
expect between 17:30 and 18:10 over flood in K
and nobody else is called
and nothing else arrives
