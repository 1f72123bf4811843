story of a night shift that does not answer
# The chain, step by step: nam, ten minutes later lan and duc; after twenty minutes the sole tower of A still says so for
# five minutes and more, and danger is published unattended. In B the water has gone down meanwhile: nothing is published
# without a person. In C lan has seen it and calls stop; to have seen it is
# no approval, so it is published unattended there too.

day 2022-10-14
from 15:00 until 10-15 02:00
areas A B C
sensor tower-a street_depth in A every 60s, noise 0.004
sensor tower-b street_depth in B every 60s, noise 0.004
sensor tower-c street_depth in C every 60s, noise 0.004
operators nam, then lan duc

at 15:10 tower-a rises to 0.50 over 20min
at 15:10 tower-b rises to 0.40 over 16min
at 15:10 tower-c rises to 0.40 over 16min
at 15:26 lan acknowledges flood in C
at 15:28 tower-b falls to 0.17 over 3min
at 17:00 tower-* falls to 0.00 over 20min

expect between 15:20 and 15:26 worse warning flood in A
expect between 15:20 and 15:26 worse warning flood in B
expect between 15:21 and 15:26 a call to nam to approve danger flood in A
expect between 15:21 and 15:27 a call to nam to approve danger flood in B
expect between 15:31 and 15:36 a call to lan, duc to approve danger flood in A
expect between 15:31 and 15:37 a call to lan, duc to approve danger flood in B
expect between 15:41 and 15:46 worse danger flood in A
expect between 15:20 and 15:26 worse warning flood in C
expect between 15:21 and 15:26 a call to nam to approve danger flood in C
expect between 15:41 and 15:46 worse danger flood in C
expect between 23:10 and 23:50 over flood in C
expect between 23:10 and 23:50 over flood in A
expect between 17:40 and 18:20 over flood in B
and nothing else arrives
