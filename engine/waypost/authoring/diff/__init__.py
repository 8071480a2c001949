"""What differs between two plans, and what that does to a sample of events.

Takes parsed plans, never source text: a comment or another order of keys is no difference. `compare.compare` gives Changes, each breaking or
not; `wire.compare` runs both programs over events and counts the messages that appear, vanish or differ; `render/` shows both.
"""
