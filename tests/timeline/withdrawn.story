story of a warning that should never have been sent
# A hose fills the gutter under a tower that stands alone. Nam goes there and takes the warning back; who heard it hears
# that, once, and nothing more when the water goes. When it is a flood in the evening, that is told.

day 2022-10-14
from 08:00 until 20:00
areas A B
sensor tower street_depth in A every 60s, noise 0.004
sensor other street_depth in B every 60s, noise 0.004
operators nam, then lan

at 08:30 tower rises to 0.25 over 30min
at 09:40 nam withdraws flood in A
at 11:00 tower falls to 0 over 20min
at 16:30 tower rises to 0.25 over 20min
at 18:00 tower falls to 0 over 20min
at 18:30 nam eases flood in B to advisory, and is refused

expect between 08:50 and 09:10 worse warning flood in A
expect between 09:40 and 09:41 withdrawn flood in A
expect between 16:40 and 17:05 worse warning flood in A
expect between 18:30 and 19:15 over flood in A
and nobody else is called
and nothing else arrives
