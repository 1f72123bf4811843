story of a night
# Hoa, Minh and Thu have quiet hours. What is below danger waits for the morning and is dropped if it is over by then;
# danger wakes; an end at night comes without a sound. Binh sleeps with the window open and hears everything at once.

day 2022-10-14
from 21:00 until 10-15 12:00
areas A B C
sensor tower-a street_depth in A every 60s, noise 0.004
sensor tower-b street_depth in B every 60s, noise 0.004
sensor tower-c street_depth in C every 60s, noise 0.004
operators nam, then lan
resident hoa lives in A and sleeps at night
resident minh lives in B and sleeps at night
resident thu lives in C and sleeps at night
resident binh lives in B

at 23:00 tower-a rises to 0.50 over 40min
at 23:32 nam approves flood in A
at 10-15 02:00 tower-a falls to 0 over 20min
at 10-15 01:00 tower-b rises to 0.25 over 20min
at 10-15 03:00 tower-b falls to 0 over 20min
at 10-15 05:00 tower-c rises to 0.25 over 20min
at 10-15 09:00 tower-c falls to 0 over 20min

expect between 23:32 and 23:33 worse danger flood in A to hoa
expect between 10-15 08:10 and 10-15 08:40 over flood in A to hoa
expect between 10-15 01:15 and 10-15 01:30 worse warning flood in B to binh
expect between 10-15 03:40 and 10-15 04:10 over flood in B to binh
expect between 10-15 07:00 and 10-15 07:01 worse warning flood in C to thu
expect between 10-15 09:40 and 10-15 10:10 over flood in C to thu
and nothing else arrives
