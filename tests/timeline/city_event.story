story of ninety-four areas at danger
# Every tower stands alone, so each area asks for approval; from the twentieth on it is one city event, approved with one
# word. The end comes six hours after the last street is free. Who lives in one place and works in two others gets one message that names all three.

day 2022-10-14
from 15:00 until 10-15 02:00
94 areas
sensor tower street_depth in every area every 60s, noise 0.004
operators nam, then lan
resident hoa lives in W01, W02 and W94
resident binh lives in W50

at 15:10 tower-* rises to 0.50 over 20min
at 15:27 nam approves the city event
at 17:00 tower-* falls to 0 over 30min

expect between 15:20 and 15:26 worse warning flood in W01 to hoa
expect between 15:20 and 15:26 worse warning flood in W02 to hoa
expect between 15:20 and 15:26 worse warning flood in W94 to hoa
expect between 15:27 and 15:28 worse danger flood in W01, W02 and W94 to hoa
expect between 15:20 and 15:26 worse warning flood in W50 to binh
expect between 15:27 and 15:28 worse danger flood in W50 to binh
expect between 23:30 and 23:50 over flood in W01 to hoa
expect between 23:30 and 23:50 over flood in W02 to hoa
expect between 23:30 and 23:50 over flood in W94 to hoa
expect between 23:30 and 23:50 over flood in W50 to binh
and nothing else arrives
