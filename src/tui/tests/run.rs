//! The real loop with scripted input, a real engine over a pretended world, and a screen in memory.
