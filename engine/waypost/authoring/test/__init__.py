"""`waypost test`: a destination's tests.yaml, run to the bytes on the wire.

    cases     tests.yaml -> tests, each expectation with its place, or diagnostics
    course    one test through the real program, lane and transport, on a virtual clock: what became of each delivery
    judge     expectations against what was found -> failures, each with its frame and a diff
    golden    the full requests, as golden.json keeps them
    points    a spec -> everything in it that a test can reach
    trace     one test through the reference interpreter -> the points that it reached
    suite     all of that for one spec
    render/   a suite's result as text, JSON or JUnit
    watch     runs again when a file changes

Only the network and the clock are scripted. Secrets are masked and what is stamped at each attempt is shown as `<now>`.
"""
