story of two towers that bear each other out
# They stand 800 m apart. One reaches danger while the other stands at a warning: that confirms it at once,
# without a person (nam is called meanwhile). The third is silent since noon: it confirms nothing, and nobody waits for it.

day 2022-10-14
from 11:30 until 10-15 02:00
areas A B
sensor upper street_depth in A every 60s, noise 0.004
sensor lower street_depth in A every 60s, noise 0.004, 800 m away
sensor dead street_depth in B every 60s
operators nam, then lan

at 12:00 dead falls silent
at 15:10 upper rises to 0.40 over 20min
at 15:12 lower rises to 0.24 over 20min
at 15:35 nam acknowledges flood in A
at 16:30 upper falls to 0 over 30min
at 16:30 lower falls to 0 over 30min

expect between 15:18 and 15:24 first warning flood in A
expect between 15:24 and 15:34 worse danger flood in A
expect between 15:24 and 15:34 a call to nam to approve danger flood in A
expect between 23:00 and 23:25 over flood in A
and nothing else arrives
