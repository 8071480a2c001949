"""Results of tests become text: for people, as JSON, and as JUnit's XML."""
