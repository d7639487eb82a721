"""The `mix` capability: several pieces of audio become one continuous one."""
