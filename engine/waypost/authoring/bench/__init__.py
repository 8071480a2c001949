"""What a plan costs, over a sample of events: the whole, by stage, and by field.

Takes a plan, setting values and events. Gives a `report.Bench`, which `render` shows. Nothing here looks into a program: stages and fields
are told by linking plans that lack one thing (`surgery`) and running them in turns with the whole (`clock`), so that what is measured is what
runs. Times are processor time: nothing here waits, and a busy machine takes the processor away from all alike.
"""
