"""`waypost new`: a first spec from a name, a sample event and a sample API request.

`match.py` says which field of the event each field of the request is, `write.py` writes that as YAML. What cannot be matched is written as a
comment that says so: nothing is guessed that would compile and send nonsense.
"""
